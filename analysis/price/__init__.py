"""The price of a gain: how hard it is to reach by choosing among the baseline's images."""
