{% macro full_name() -%}
    coalesce(
        nullif(trim(concat_ws(' ', first_name, last_name)), ''),
        {{ text_literal(rule_variable('unknown_label')) }}
    )
{%- endmacro %}
