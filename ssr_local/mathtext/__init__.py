"""Mathematics read out of text."""
