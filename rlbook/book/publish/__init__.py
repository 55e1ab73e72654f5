"""What an author does with the finished notebooks: execute, index, address, web pages."""
