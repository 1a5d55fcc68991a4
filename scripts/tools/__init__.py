"""Programs for those who maintain the project: pictures of the page, the table of networks."""
