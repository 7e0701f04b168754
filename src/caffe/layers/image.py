"""ImageData, WindowData."""
