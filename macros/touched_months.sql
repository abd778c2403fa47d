{% macro touched_months() %}
    {%- set table = ref('int_months_touched') -%}
    {%- set query = 'select sales_month from ' ~ table ~ ' order by sales_month' -%}
    {%- set months = [] -%}
    {%- if execute -%}
        {#- some twenty nodes ask, and `graph` is what the nodes of one dbt call have in
            common -#}
        {%- if 'touched_months' not in graph -%}
            {%- for row in run_query(query).rows -%}
                {%- do months.append(row[0]) -%}
            {%- endfor -%}
            {%- do graph.update({'touched_months': months}) -%}
        {%- endif -%}
        {%- do return(graph['touched_months']) -%}
    {%- endif -%}
    {{ return(months) }}
{% endmacro %}
