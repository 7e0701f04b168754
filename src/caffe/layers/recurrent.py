"""Recurrent nets unrolled in time: RNN, LSTM."""
