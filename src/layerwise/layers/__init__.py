"""The kinds we ship, each family in its file. Importing this page registers them all."""

from layerwise.layers import answers as answers
from layerwise.layers import attention as attention
from layerwise.layers import blocks as blocks
from layerwise.layers import combine as combine
from layerwise.layers import labels as labels
from layerwise.layers import modules as modules
from layerwise.layers import network as network
from layerwise.layers import ranking as ranking
from layerwise.layers import recurrent as recurrent
from layerwise.layers import values as values
from layerwise.layers import wrap as wrap
