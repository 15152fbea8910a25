"""Effects that differ between people: learners of them, and tests of what they found on people they did not see."""
