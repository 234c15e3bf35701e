"""The kinds we ship, each family in its file. Importing this page registers them all."""

from layerwise.layers import answers as answers
from layerwise.layers import attention as attention
from layerwise.layers import augment as augment
from layerwise.layers import blocks as blocks
from layerwise.layers import buckets as buckets
from layerwise.layers import categories as categories
from layerwise.layers import columns as columns
from layerwise.layers import combine as combine
from layerwise.layers import estimator as estimator
from layerwise.layers import filling as filling
from layerwise.layers import functions as functions
from layerwise.layers import images as images
from layerwise.layers import join as join
from layerwise.layers import labels as labels
from layerwise.layers import modules as modules
from layerwise.layers import network as network
from layerwise.layers import padding as padding
from layerwise.layers import ranking as ranking
from layerwise.layers import records as records
from layerwise.layers import recurrent as recurrent
from layerwise.layers import scaling as scaling
from layerwise.layers import sequences as sequences
from layerwise.layers import text as text
from layerwise.layers import values as values
from layerwise.layers import vocabulary as vocabulary
from layerwise.layers import wrap as wrap
