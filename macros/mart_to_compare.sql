{% macro mart_to_compare(name) %}
    {%- set mart = built_before(name) -%}
    {{ return(none if is_unchanged(*varargs) else mart) }}
{% endmacro %}
