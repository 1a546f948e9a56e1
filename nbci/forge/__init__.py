"""Pull requests on GitHub and GitLab, and the one comment that nbci keeps on each."""
