"""A local page that asks a trained model: drop a picture, or fill in a form."""
