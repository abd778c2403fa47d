{% macro month_before(month) -%}
    {{ month_of('add_months(to_date(concat(' ~ month ~ ", '-01')), -1)") }}
{%- endmacro %}
