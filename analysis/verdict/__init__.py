"""The verdict on a gain: sampling errors, the rule, second opinions that count for little."""
