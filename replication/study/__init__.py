"""Adding a study: from an article's PDF or a survey's file to rows that are checked in a coder's words."""
