"""The own code of competitions, a folder for each (`ripen.competition.own`)."""
