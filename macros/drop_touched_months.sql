{% macro drop_touched_months(month_column) -%}
    {{ drop_partitions(month_column, touched_months()) }}
{%- endmacro %}
