"""Where ports meet adapters, as the settings say."""
