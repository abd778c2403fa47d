{% macro has_plain_ends(text) -%}
    ({{ text }} between '-' and ':' and right({{ text }}, 1) between '0' and '9')
{%- endmacro %}
