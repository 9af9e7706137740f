"""A recipe is a file here: data -> model -> fit -> convert -> evaluate. `python -m models.recipes.NAME --help`."""
