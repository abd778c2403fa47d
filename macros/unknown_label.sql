{% macro unknown_label() -%}
    {{ text_literal(rule_variable('unknown_label')) }}
{%- endmacro %}
