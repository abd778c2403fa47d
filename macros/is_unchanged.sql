{% macro is_unchanged(table) -%}
    {%- set tables = env_var('RETAIL_UNCHANGED_DIMENSIONS', '').split(',') if execute else [] -%}
    {{ return(table in tables) }}
{%- endmacro %}
