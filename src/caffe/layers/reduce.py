"""Several values made one: Eltwise, Reduction, ArgMax."""
