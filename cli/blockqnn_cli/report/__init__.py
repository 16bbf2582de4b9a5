"""A search as one self-contained page. Pure: values in, text out.

* ``facts``: what is shown, as numbers.
* ``svg``, ``scales``: elements and axes.
* ``charts``, ``blocks``: the pictures.
* ``learning``, ``stages``, ``finalists``, ``foresight``, ``comparison``: sections.
* ``page``, ``style``: the page around them.
"""
