"""What happens to recognised text before anything is stored or sent."""
