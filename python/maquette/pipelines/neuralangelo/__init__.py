"""A neural surface, trained on posed images; Neuralangelo, arXiv:2306.03092."""
