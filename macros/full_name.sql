{% macro full_name() -%}
    coalesce(
        nullif(trim(concat_ws(' ', first_name, last_name)), ''),
        {{ unknown_label() }}
    )
{%- endmacro %}
