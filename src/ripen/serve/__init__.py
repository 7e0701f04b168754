"""A local page that asks a trained model: drop an image, or fill in a form."""
