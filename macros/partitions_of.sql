{% macro partitions_of(relation, column) %}
    {%- set values = [] -%}
    {%- if execute -%}
        {%- for row in run_query('show partitions ' ~ relation).rows -%}
            {%- for pair in row[0].split('/') if pair.split('=')[0] == column -%}
                {%- do values.append(pair.split('=')[1]) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(values | unique | list) }}
{% endmacro %}
