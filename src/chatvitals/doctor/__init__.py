"""`chatvitals doctor`: is everything set up so that the numbers can be right, and what to do where it is not."""
