{% macro months_out_of_step(fact, marts) %}
    {%- set months = [] -%}
    {%- set fact_months = partitions_built_before(fact, 'sales_month') -%}
    {%- for mart, column in marts.items() -%}
        {%- set mart_months = partitions_built_before(mart, column) -%}
        {%- if fact_months is not none and mart_months is not none -%}
            {%- for month in fact_months + mart_months
                if month not in fact_months or month not in mart_months -%}
                {%- do months.append(month) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(months | unique | sort) }}
{% endmacro %}
