{% macro or_unknown(attribute, key) -%}
    {%- set label = text_literal(rule_variable('unknown_label')) -%}
    if({{ key }} is null, {{ label }}, {{ attribute }})
{%- endmacro %}
