"""How two models behave differently: tables of predictions in, differences out."""
