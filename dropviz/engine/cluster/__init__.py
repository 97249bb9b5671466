"""The engine of many machines: a Dask cluster that others started places the jobs. Imported only where the settings ask for it."""
