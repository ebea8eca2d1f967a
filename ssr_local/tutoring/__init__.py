"""What a tutor does with the method's parts: judge a student's steps, and help with the next."""
