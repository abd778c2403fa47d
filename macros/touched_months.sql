{% macro touched_months() %}
    {%- set query = 'select sales_month from ' ~ ref('int_months_touched') ~ ' order by sales_month' -%}
    {%- set months = [] -%}
    {%- if execute -%}
        {%- for row in run_query(query).rows -%}
            {%- do months.append(row[0]) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(months) }}
{% endmacro %}
