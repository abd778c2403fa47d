{% macro months_out_of_step(fact, marts) %}
    {%- set months = [] -%}
    {%- set fact_table = built_before(fact) -%}
    {%- if fact_table is not none -%}
        {%- set fact_months = partitions_of(fact_table, 'sales_month') -%}
        {%- for mart, column in marts.items() -%}
            {%- set mart_table = built_before(mart) -%}
            {%- if mart_table is not none -%}
                {%- set mart_months = partitions_of(mart_table, column) -%}
                {%- for month in fact_months + mart_months
                    if month not in fact_months or month not in mart_months -%}
                    {%- do months.append(month) -%}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(months | unique | sort) }}
{% endmacro %}
