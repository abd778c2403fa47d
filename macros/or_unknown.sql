{% macro or_unknown(attribute, key) -%}
    if({{ key }} is null, {{ unknown_label() }}, {{ attribute }})
{%- endmacro %}
