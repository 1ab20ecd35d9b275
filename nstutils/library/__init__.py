"""What names mean: settings, files, downloads, caches, weights."""
