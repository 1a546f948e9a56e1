"""Gates: rules over metrics and what they answer."""
