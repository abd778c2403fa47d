{% macro month_of(day) -%}
    left(cast({{ day }} as string), 7)
{%- endmacro %}
