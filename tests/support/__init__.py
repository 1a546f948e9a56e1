"""What tests share: builders of notebooks, the console, the tools that this machine may lack."""
