"""Real search engines and databases, behind Querylift as a user would have them."""
