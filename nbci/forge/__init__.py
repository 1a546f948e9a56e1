"""Where code is reviewed: GitHub and GitLab, and the one comment that nbci keeps on a pull request."""
