{% macro or_unknown(attribute, key) -%}
    if({{ key }} is null, {{ text_literal(var('unknown_label')) }}, {{ attribute }})
{%- endmacro %}
