{% macro full_name() -%}
    coalesce(
        nullif(trim(concat_ws(' ', first_name, last_name)), ''),
        {{ text_literal(var('unknown_label')) }}
    )
{%- endmacro %}
