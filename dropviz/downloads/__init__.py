"""Files from elsewhere, verified: fetched into a folder, resumed, checked by size and SHA-256 before they are there.

Nothing is unpacked here, and nothing here knows what a data set is.
"""

from dropviz.downloads.background import Fetches, Fetching
from dropviz.downloads.fetching import fetch
from dropviz.downloads.group import Download
from dropviz.downloads.remote import DownloadError, Progress, RemoteFile, cached, shown_size

__all__ = [
    "Download",
    "DownloadError",
    "Fetches",
    "Fetching",
    "Progress",
    "RemoteFile",
    "cached",
    "fetch",
    "shown_size",
]
