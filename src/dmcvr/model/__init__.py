"""The networks: encoders, denoiser, and the autoencoder that joins them. They know nothing of files."""
