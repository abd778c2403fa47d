{% macro partitions_of(relation, column) %}
    {%- set values = [] -%}
    {%- if execute -%}
        {%- do expect_partition_column(relation.identifier, column) -%}
        {%- for row in run_query('show partitions ' ~ relation).rows -%}
            {%- for pair in row[0].split('/') if pair.split('=')[0] == column -%}
                {%- do values.append(pair.split('=')[1]) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(values | unique | list) }}
{% endmacro %}
