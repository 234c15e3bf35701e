"""The ways to draw a model: rows of plain data, a table of text, a Mermaid flowchart, a card for notebooks."""

from layerwise.graph.card import card as card
from layerwise.graph.mermaid import mermaid as mermaid
from layerwise.graph.rows import LayerRow as LayerRow
from layerwise.graph.rows import rows as rows
from layerwise.graph.table import text as text
