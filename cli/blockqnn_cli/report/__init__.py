"""A search as one self-contained page. Pure: values in, text out.

* ``statistics``: the numbers that are shown.
* ``svg``, ``scales``: elements and axes.
* ``charts``, ``blocks``: the pictures.
* ``learning``, ``stages``, ``finalists``, ``prediction_section``, ``comparison``: sections.
* ``page``, ``style``: the page around them.
"""
