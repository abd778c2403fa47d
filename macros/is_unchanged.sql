{% macro is_unchanged() -%}
    {%- set tables = env_var('RETAIL_UNCHANGED_DIMENSIONS', '').split(',') if execute else [] -%}
    {{ return(varargs | reject('in', tables) | list | length == 0) }}
{%- endmacro %}
